"""Scripts behind the make targets. Nothing here is part of the installed package."""
