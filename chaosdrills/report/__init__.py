"""From a summary and its record to what people read: Markdown and one self-contained HTML file.

Pure rendering: no network, no clock, no server, no new figures. What is shown was computed by `chaosdrills.core`. No
user name, host name or absolute path may appear in a report.
"""
