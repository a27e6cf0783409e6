"""The only code that reaches the kernels: ``ops`` calls them, ``reference`` says what they mean."""
