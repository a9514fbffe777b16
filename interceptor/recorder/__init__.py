"""Questions of a proxy that only the recorder can answer: it alone has the database. No Django.

asking, answering  both ends of a conversation: `{"ask": id, "name", "values"}`, then
                   `{"reply": id, "values"}` or `{"reply": id, "error": sentence}`
database_answers   all questions, answered by the objects that know the database
remote_logins      the memory and the locks of logins, as `providers.auth` wants them
remote_notes       events of other programs, kept for all proxies
remote_grants      grants of the console's resends, as the guard wants them
remote_reasoning   reasoning of conversations, as the translation wants it
remote_uploads     uploads of files by task workers
remote_threads     threads of Perplexity, as its hooks want them
"""
