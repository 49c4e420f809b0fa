"""What every feature stands on: settings, database, errors, authorisation, jobs, languages. Knows no feature."""
