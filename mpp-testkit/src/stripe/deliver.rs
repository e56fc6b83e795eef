//! Events on their way to a webhook endpoint.

use super::{Error, Simulator, lock};

impl Simulator {
    /// Every event, in the order in which they happened.
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.objects("event")
    }

    /// Posts every event that no endpoint has taken yet, signed at the simulator's time, in order. Returns how many were taken
    /// with 2xx; the others wait for the next time.
    ///
    /// # Errors
    /// The endpoint could not be reached. What it took before is delivered.
    pub async fn deliver(&self, url: &str) -> Result<usize, Error> {
        let waiting = Vec::from_iter(lock(&self.books).undelivered.iter().cloned());
        self.post(url, &waiting).await
    }

    /// Posts every event again, as Stripe may do with any of them. Returns how many were taken with 2xx.
    ///
    /// # Errors
    /// The endpoint could not be reached.
    pub async fn deliver_again(&self, url: &str) -> Result<usize, Error> {
        let events = self.events();
        let all = events.iter().filter_map(|event| event["id"].as_str().map(str::to_owned));
        self.post(url, &Vec::from_iter(all)).await
    }

    async fn post(&self, url: &str, events: &[String]) -> Result<usize, Error> {
        let http = reqwest::Client::new();
        let mut taken = 0;
        for id in events {
            let Some(body) =
                lock(&self.books).record("event", id).map(|event| event.value.to_string())
            else {
                continue;
            };
            let request = http.post(url).header("stripe-signature", self.sign(&body, self.now()));
            let request =
                request.header("content-type", "application/json; charset=utf-8").body(body);
            let answer = request.send().await.map_err(Error::Deliver)?;
            if answer.status().is_success() {
                taken += 1;
                lock(&self.books).undelivered.retain(|waiting| waiting != id);
            }
        }
        Ok(taken)
    }
}
