"""Pure functions of records: intervals, scaling, crossovers, comparisons."""
