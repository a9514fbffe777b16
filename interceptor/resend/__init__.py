"""Recorded requests, sent again.

draft        the request as editable texts, and back
outgoing     the request that will be sent, or the reason why it will not
grant_store  one-time grants in the database: issued here, redeemed by the proxy
sender       issues a grant and gives the job to a worker or a thread
delivery     sends one job and writes down what became of it, in any process
job, tasks   the sealed request, and the Celery task that delivers it
api, views   REST and pages; urls names the pages
"""
