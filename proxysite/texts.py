"""Texts of the theme, which comes without catalogues: named here for ours.

Those that Django's admin has too are translated by Django. What no page of this console
shows is left out.
"""

from django.utils.translation import gettext_noop as _

THEME = frozenset(
    {
        *(_("Add %(name)s"), _("Add another %(model)s"), _("Add row"), _("Apply Filters")),
        *(_("By %(filter_title)s"), _("Change selected %(model)s"), _("Click to cancel")),
        *(_("Dark"), _("Delete selected %(model)s"), _("Expand row"), _("False")),
        *(_("Filters"), _("General"), _("Go back"), _("Light"), _("More actions")),
        *(_("Next"), _("No results found"), _("Previous"), _("Recent searches")),
        *(_("Reset filters"), _("Return to site"), _("Run"), _("Search apps and models...")),
        *(_("Select action"), _("Select action to run"), _("Select all rows")),
        *(_("Select record"), _("Select value"), _("Submit"), _("System")),
        _("This item will be deleted."),
        _("This page yielded into no results. Create a new item or reset your filters."),
        *(_("Toggle password visibility"), _("True"), _("Type to search"), _("Value")),
        *(_("View selected %(model)s"), _("Welcome"), _("Welcome back to")),
        _("You have been successfully logged out from the administration"),
        _("Raw passwords are not stored, so there is no way to see this "),
        _(
            "Raw passwords are not stored, so there is no way to see this "
            "user’s password, but you can change the password using "
            '<a href="{}" class="text-primary-600 dark:text-primary-500">this form</a>.'
        ),
        _("After you've created a user, you’ll be able to edit more user options."),
        *(_("Choose file to upload"), _("No data"), _("Date from"), _("Date to")),
    }
)
