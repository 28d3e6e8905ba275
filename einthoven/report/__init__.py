"""How results are shown: ECG paper, figures, tables, pages."""
