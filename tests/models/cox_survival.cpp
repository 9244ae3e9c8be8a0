// Risks of an event by the partial likelihood (Cox 1972): each example's loss holds all that
// outlive it.

#include "models/models.h"

namespace zoo {

Model cox_survival() {
  using namespace torch::nn;
  const auto x = torch::randn({kExamples, 5});
  const auto risk = 1.5 * torch::sin(x.select(1, 0)) + x.select(1, 1);
  const auto times = torch::empty({kExamples}).exponential_() * torch::exp(-risk);
  const auto happened = (torch::rand({kExamples}) < 0.8).to(torch::kFloat);

  Sequential net(Linear(5, 32), Tanh(), Linear(32, 1));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto order = rows(times, batch).argsort(0, /*descending=*/true);
            const auto z = net->forward(rows(x, batch).index({order})).squeeze(1);
            const auto event = rows(happened, batch).index({order});
            return -((z - torch::logcumsumexp(z, 0)) * event).sum() / event.sum();
          }};
}

}  // namespace zoo
