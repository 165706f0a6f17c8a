"""Several models' predictions become their differences, and a page, a picture and a file that say how sure they are."""
