//! Sessions in PostgreSQL: a [`SessionStore`](tenure_store::SessionStore) for Tenure.
