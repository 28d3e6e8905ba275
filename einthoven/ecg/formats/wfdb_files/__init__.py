"""Parts of WFDB records: headers, samples."""
