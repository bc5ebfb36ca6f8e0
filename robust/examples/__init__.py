"""The examples that the package ships: real models and real data, with the scripts that made them."""
