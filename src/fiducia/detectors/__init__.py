"""Where the faces are: detectors by name, and boxes that a user gives."""
