"""Settlement: from two sealed readings to the balance group, in integers, by named rules."""
