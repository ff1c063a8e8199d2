"""The rules that hold for every protocol: no framework, no input or output, no vendor's words."""
