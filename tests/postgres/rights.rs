//! The contract, for a role that has the rights that the documentation lists and no others.

use std::sync::Arc;

use async_trait::async_trait;
use tenure_conformance::Fixture;
use tenure_store::SessionStore;

use crate::base::{Base, connect};

/// A schema that its owner has migrated, and a role that works in it.
struct Least {
    base: Base,
    role: String,
}

async fn least() -> Box<dyn Fixture> {
    let base = Base::new().await;
    let (schema,) = base.row::<(String,)>("SELECT current_schema()::text").await;
    let role = format!("least_{schema}");
    connect(base.place.url())
        .await
        .close()
        .await
        .expect("closes");
    base.run(&format!(
        "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC; \
         CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE \
         ON tenure_namespace, tenure_reset, tenure_session TO {role}; \
         GRANT SELECT ON tenure_schema_history TO {role}; \
         GRANT EXECUTE ON FUNCTION tenure_expires_at TO {role}"
    ))
    .await;
    Box::new(Least { base, role })
}

#[async_trait]
impl Fixture for Least {
    async fn node(&self) -> Arc<dyn SessionStore> {
        connect(&self.base.place.url_with(&format!("user={}", self.role))).await
    }

    async fn close(self: Box<Self>) {
        let Self { base, role } = *self;
        base.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
            .await;
    }
}

mod postgres {
    tenure_conformance::suite!(
        ignore = "needs PostgreSQL: run scripts/test",
        super::least()
    );
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_right_that_is_missing_is_named() {
    use tenure_conformance::props::{at, record};
    use tenure_store::{ErrorKind, Hooks};

    let base = Base::new().await;
    base.store().await.close().await.expect("closes");
    let (schema,) = base.row::<(String,)>("SELECT current_schema()::text").await;
    let role = format!("less_{schema}");
    base.run(&format!(
        "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC; \
         CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"
    ))
    .await;
    let store = connect(&base.place.url_with(&format!("user={role}"))).await;
    let ns = crate::base::portal();
    store.open(&ns, Hooks::Expected).await.expect("opens");
    let refused = store.create(&ns, &record(1), at(0)).await;
    let error = refused.expect_err("a function is not its to use");
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
    assert!(error.to_string().contains("tenure_expires_at"), "{error}");
    store.close().await.expect("closes");
    base.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}
