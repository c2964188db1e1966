"""How a problem becomes a solution: started, driven, judged, and made again where it must be."""
