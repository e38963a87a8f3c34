"""The tests of kitepipe: claims, against the sandbox over HTTP and real databases."""
