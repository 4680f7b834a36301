"""OAuth: a user lends a program some of its roles on a project without showing it a password."""
