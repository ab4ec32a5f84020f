"""Many runs of the scripts with one question: searches and ablations. Imports no backend."""
