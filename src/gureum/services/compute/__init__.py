"""The compute API (Nova v2.1, microversions 2.1 to 2.96): servers, flavors, keypairs and what surrounds them."""
