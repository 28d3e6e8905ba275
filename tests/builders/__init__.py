"""Writers of the formats that no package writes, as small as readers allow."""
