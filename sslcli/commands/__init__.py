"""The commands, a file each. What they share: project (where), common (training), classify, tables."""
