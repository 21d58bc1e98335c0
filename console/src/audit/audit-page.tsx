import { Download, RefreshCw } from "lucide-preact";
import { Answered } from "../parts/answered";
import { Button } from "../parts/button";
import { Notice } from "../parts/notice";
import { useMayChange } from "../session/session";
import { Page } from "../shell/page";
import { text } from "../text";
import { exportCsv } from "./csv";
import { useFilter } from "./filter";
import { FilterForm } from "./filter-form";
import { useAuditRecords } from "./queries";
import { RecordItem } from "./record-item";
import { useWho } from "./words";

export function AuditPage() {
  // The API asks for the same role.
  return useMayChange() ? (
    <Trail />
  ) : (
    <Page title={text.audit.title}>
      <Notice kind="info">{text.audit.notForYou}</Notice>
    </Page>
  );
}

function Trail() {
  const [filter, setFilter] = useFilter();
  const trail = useAuditRecords(filter);
  const records = trail.data?.pages.flatMap((page) => page.records) ?? [];
  const who = useWho(records);
  return (
    <Page
      title={text.audit.title}
      actions={
        <>
          <Button
            icon={<RefreshCw aria-hidden="true" />}
            busy={trail.isRefetching}
            onClick={() => trail.refetch()}
          >
            {text.audit.refresh}
          </Button>
          <Button
            icon={<Download aria-hidden="true" />}
            disabled={records.length === 0}
            onClick={() => exportCsv(records, who)}
          >
            {text.audit.csv}
          </Button>
        </>
      }
    >
      <p class="muted">{text.audit.intro}</p>
      <FilterForm filter={filter} onFilter={setFilter} />
      <Answered query={trail}>
        {() =>
          records.length === 0 ? (
            <p class="muted">{text.audit.none}</p>
          ) : (
            <>
              <ol class="card records">
                {records.map((record) => (
                  <RecordItem key={record.sequence} record={record} who={who(record)} />
                ))}
              </ol>
              <div class="older">
                <span class="small muted" role="status">
                  {text.audit.shown(records.length)}
                </span>
                {trail.hasNextPage ? (
                  <Button busy={trail.isFetchingNextPage} onClick={() => trail.fetchNextPage()}>
                    {text.audit.older}
                  </Button>
                ) : (
                  <span class="small muted">{text.audit.oldest}</span>
                )}
              </div>
            </>
          )
        }
      </Answered>
    </Page>
  );
}
