"""`make soak`: kitepipe broken by the thousand, from one seed, and held to one oracle."""
