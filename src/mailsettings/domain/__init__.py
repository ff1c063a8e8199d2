"""What is true whatever the protocol. No framework, no input or output, no word of a vendor's."""
