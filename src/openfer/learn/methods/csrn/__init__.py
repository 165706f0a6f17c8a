"""CSRN: faces, eyes and mouths compared by a relation network, with class features put together channel by channel."""
