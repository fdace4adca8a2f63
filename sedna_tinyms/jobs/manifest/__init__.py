"""The job's YAML: composed with the line of every value, checked as a whole, and made a `Job`.

`loading.load_job` is the way in. `yaml_source` reads, `resources` says which fields there are and
`schema` how each is checked, `crosschecks` and `templates` look at how they fit together,
`building` makes the dataclasses of `spec`; `findings` is what is said about a file.
"""
