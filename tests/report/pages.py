"""Reading a rendered page back: a strict parser that keeps the elements and texts in document order."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "input", "hr", "link"}


@dataclass
class Element:
    """A tag with its attributes and all text within it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inner: list["Element"] = field(default_factory=list)

    def has(self, style: str) -> bool:
        """Whether `style` is one of its classes."""
        return style in self.attributes.get("class", "").split()


class Page(HTMLParser):
    """A page whose every tag was closed in order; anything else raises AssertionError."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self.open, f"left open: {[element.tag for element in self.open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in {tag}: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        for outer in self.open:
            outer.inner.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"{tag} is closed, but was not open"
        assert self.open[-1].tag == tag, f"{tag} is closed inside {self.open[-1].tag}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, tag: str, style: str = "") -> list[Element]:
        """Elements of a tag, with a class if one is given, in document order."""
        return [element for element in self.elements if element.tag == tag and (not style or element.has(style))]

    def one(self, tag: str, style: str = "") -> Element:
        """The only such element."""
        found = self.all(tag, style)
        assert len(found) == 1, f"{len(found)} of {tag}.{style}"
        return found[0]

    def text_of(self, tag: str, style: str = "") -> list[str]:
        """Texts of such elements, their white space collapsed."""
        return [" ".join(element.text.split()) for element in self.all(tag, style)]
