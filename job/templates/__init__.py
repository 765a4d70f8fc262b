"""What pages are made of: templates, styles, scripts, and the library that draws."""

from functools import cache
from typing import Any


@cache
def template(name: str) -> Any:
    """A template of ours; what it is given is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("job", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    return environment.get_template(name)


def markup(text: str) -> Any:
    """What a template has made, for another to hold as it is."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - what it was given is escaped


@cache
def asset(name: str) -> Any:
    """A style or a script of our own."""
    from importlib.resources import files

    from markupsafe import Markup

    return Markup((files("job") / "templates" / name).read_text("utf-8"))  # noqa: S704 - our own file


@cache
def libraries() -> tuple[Any, ...]:
    """The scripts that draw, as they stand between <script> tags."""
    from bokeh.resources import Resources
    from markupsafe import Markup

    scripts = Resources(mode="inline", components=["bokeh", "bokeh-api"], log_level="warn").js_raw
    return tuple(Markup(script.replace("</script", "<\\/script")) for script in scripts)  # noqa: S704 - a library's own
