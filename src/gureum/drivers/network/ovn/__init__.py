"""Open Virtual Network, driven through its northbound database. Start reading at `driver.py`."""
