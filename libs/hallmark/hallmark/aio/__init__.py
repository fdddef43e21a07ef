"""The SDK for programs on an event loop; what `hallmark` itself offers is made from it."""
