"""A page on which a person corrects labels, the most doubtful face first."""
