"""`pinghub keys …`: keys and their rotation, for operators."""

from cyclopts import App, Group

app = App(
    name="keys",
    help="Keys and their rotation.",
    help_format="markdown",
    group_commands=Group("Commands"),
)
app.command("hub.processes.signing_keys:app", name="signing", help="Keys that sign access tokens.")
