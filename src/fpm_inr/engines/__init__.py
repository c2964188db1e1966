"""How it is solved: one file an engine. An engine sees a forward model, a field and a plan."""
