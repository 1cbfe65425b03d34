"""The planted world behind `simulate`: who wants what, what is shown, what is clicked."""
