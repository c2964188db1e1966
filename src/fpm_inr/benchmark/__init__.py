"""FPM-INR's experiment: engines against each other, over patch sizes, on one machine."""

from fpm_inr.benchmark.run import run_benchmark as run_benchmark
from fpm_inr.benchmark.settings import BenchmarkSettings as BenchmarkSettings
from fpm_inr.benchmark.settings import Method as Method
