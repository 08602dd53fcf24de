"""The gateway administrator (GWA): who may have a channel on which SMGW."""
