"""How close a result is to a reference."""

from fpm_inr.metrics.alignment import Aligned as Aligned
from fpm_inr.metrics.alignment import align as align
from fpm_inr.metrics.compare import Comparison as Comparison
from fpm_inr.metrics.compare import compare as compare
from fpm_inr.metrics.images import all_in_focus_l2 as all_in_focus_l2
from fpm_inr.metrics.images import ncc as ncc
from fpm_inr.metrics.images import psnr as psnr
from fpm_inr.metrics.images import ratio_of_squares as ratio_of_squares
from fpm_inr.metrics.images import relative_l2 as relative_l2
from fpm_inr.metrics.images import rmse as rmse
from fpm_inr.metrics.images import ssim as ssim
from fpm_inr.metrics.phase import phase_rmse as phase_rmse
from fpm_inr.metrics.phase import without_ramp as without_ramp
from fpm_inr.metrics.rings import RingCorrelation as RingCorrelation
from fpm_inr.metrics.rings import fourier_ring_correlation as fourier_ring_correlation
from fpm_inr.metrics.specimen import specimen_contrast as specimen_contrast
from fpm_inr.metrics.targets import ElementContrast as ElementContrast
from fpm_inr.metrics.targets import SiemensContrast as SiemensContrast
from fpm_inr.metrics.targets import finest_resolved as finest_resolved
from fpm_inr.metrics.targets import siemens_contrast as siemens_contrast
from fpm_inr.metrics.targets import usaf_contrast as usaf_contrast
