"""Still pictures as files of any program: SDR as R'G'B' of BT.709, HDR as PQ of BT.2020."""
