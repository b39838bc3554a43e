"""Cases (案件) in PostgreSQL: what was decided, held, warned of and refused, and what people decided, to be seen."""
