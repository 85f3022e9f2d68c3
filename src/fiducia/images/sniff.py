"""What a file that is no photograph is: a video, a PDF, a page of a web site, called by its name."""

from __future__ import annotations

import re

__all__ = ["kind_of_file"]

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"\x00\x00\x01\xba", "a video (MPEG)"),
    (b"\x00\x00\x01\xb3", "a video (MPEG)"),
    (b"FLV\x01", "a video (Flash)"),
    (b"0&\xb2u\x8ef\xcf\x11", "a video (Windows Media)"),
    (b"OggS", "an Ogg video or sound"),
    (b"ID3", "a sound (MP3)"),
    (b"fLaC", "a sound (FLAC)"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP document"),
    (b"\x00\x00\x01\x00", "an icon (ICO)"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"DDS ", "a DirectDraw surface"),
    (b"PF\n", "a floating-point map (PFM)"),
    (b"P7\n", "a PAM image"),
    (b"qoif", "a QOI image"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 or Matlab 7.3 file"),
    (b"MATLAB 5", "a Matlab file"),
    (b"SQLite format", "a database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer (run: git lfs pull)"),
    (b"FUJIFILMCCD-RAW", "a raw photograph"),
    (b"IIU\x00", "a raw photograph"),
    (b"IIRO", "a raw photograph"),
)
_MARKUP = ((b"<svg", "an SVG drawing"), (b"<html", "an HTML page"), (b"<!doctype html", "an HTML page"))
_RIFF = {b"AVI ": "a video (AVI)", b"WAVE": "a sound (WAV)"}
_TEXT = re.compile(rb"[\t\n\r\f\x20-\x7e\x80-\xff]+")


def kind_of_file(data: bytes) -> str:
    """Return what the bytes are, as far as their start tells."""
    if data[4:8] == b"ftyp":
        if data[8:12] == b"crx ":
            return "a raw photograph"
        return "a video (MP4 or QuickTime)"
    if data[4:8] in (b"moov", b"mdat", b"wide", b"free"):
        return "a video (QuickTime)"
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], "a RIFF file, not WebP")
    for start, name in _STARTS:
        if data.startswith(start):
            return name
    if data[:1] == b"G" and data[188:189] == b"G":
        return "a video (MPEG transport stream)"
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    for mark, name in _MARKUP:
        if mark in head.lower() and head.startswith(b"<"):
            return name
    if head.startswith(b"<"):
        return "an XML file"
    if _TEXT.fullmatch(head) and head:
        return "a JSON file" if head[:1] in b"{[" else "a text file"
    if not any(data[:4096]):
        return "a file of zeros"
    return f"of an unknown format, starting {data[:8]!r}"
