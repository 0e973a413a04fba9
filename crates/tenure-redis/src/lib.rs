//! Sessions in Redis: a [`SessionStore`](tenure_store::SessionStore) for Tenure.
