"""What a BMC can be asked and told, whatever protocol it speaks."""
