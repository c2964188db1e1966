"""One printable page on a reconstruction: what was measured, what was solved, how well."""

from fpm_inr.report.report import write_report as write_report
