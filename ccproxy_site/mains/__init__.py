"""The mains of the supervisor's children: recorder, proxy, console."""
