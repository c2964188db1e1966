"""All-in-focus images, depth maps and focus curves from slices that come one after the other."""

from fpm_inr.focus.blend import AllInFocus as AllInFocus
from fpm_inr.focus.blend import all_in_focus as all_in_focus
from fpm_inr.focus.blend import field_at_depth as field_at_depth
from fpm_inr.focus.depth import Autofocus as Autofocus
from fpm_inr.focus.depth import DepthMap as DepthMap
from fpm_inr.focus.depth import autofocus as autofocus
from fpm_inr.focus.depth import depth_map as depth_map
from fpm_inr.focus.scores import METHODS as METHODS
from fpm_inr.focus.scores import FocusScores as FocusScores
from fpm_inr.focus.scores import FocusSettings as FocusSettings
from fpm_inr.focus.scores import score_slices as score_slices
