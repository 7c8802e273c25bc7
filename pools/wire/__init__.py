"""What data planes share on the wire: backends' answers read strictly, errors, error pages."""
