"""BMCs over Redfish."""
