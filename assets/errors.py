"""Every error a user of Loopline can meet, and nothing else.

::

    LooplineError
    ├── SpecificationError     a declaration (YAML) is wrong
    ├── ExtensionError         a module of `loopline_extensions` cannot be used
    ├── HomeError              LOOPLINE_HOME cannot be used
    │   ├── DiskError          its disk is full or cannot be written
    │   └── DatabaseError      the PostgreSQL database of its metadata cannot be used
    ├── SourceError            a raw file or a table elsewhere is missing, corrupt or not what its declaration says
    ├── WarehouseError         dbt failed to build or to test
    ├── ContractError          the feature relation, or the schema of a source's table, broke its contract
    ├── DataError              there is nothing to train on, to evaluate or to score
    │   ├── UnlearnableError   a table from which nothing can be learnt: `loopline new` refuses it
    │   └── OverlapError       a log says too little of a rule that was never served
    ├── DigestError            stored bytes are not the bytes that were published
    ├── BackupError            a folder holds no backup of this home, or what it holds cannot be restored
    ├── StoreError             a store cannot be reached, or does not hold what this home published
    │   └── StoreConflictError another machine published meanwhile
    ├── LedgerError            what should be recorded cannot be: the version never served, serves already, or is invalid
    │   └── UntrustedLedgerError  the ledger was shortened, replaced or rewritten: a head that is kept elsewhere says so
    ├── PackagingError         BentoML could not build the champion's bento
    ├── TranslationError       a model's graph cannot be written as SQL
    ├── AdoptionError          what a notebook recorded cannot become a change of the declaration
    ├── IncidentError          there is no such incident, it is closed, or nothing can be done about it
    ├── ExperimentError        an experiment cannot start, or what is asked of it cannot be done
    ├── FeatureStoreError      an online store of features cannot be filled, or what was served of it was something else
    ├── ParityError            a way of serving answers otherwise than the promoted model
    ├── EngineError            an engine such as Spark is not set up, or the folder that it writes to cannot be used
    ├── ContainerError         no container engine, or it could not build or run the image
    ├── TemplateError          a template of a declaration cannot be resolved (`assets.spec.templates`: it holds the place)
    ├── AccessError            a key, a certificate or an address by which a service is reached cannot be used
    ├── ReviewError            two revisions cannot be compared: one is unknown, does not load or fails
    ├── ReleaseError           an environment has no tested champion to be released to the next
    ├── UpstreamError          something this step rests on failed its check
    ├── GateRefusedError       no version is good enough to be served
    ├── CompanionError         the process beside this one ended, or its answer cannot be handed over
    └── RunFailedError         steps of a run failed (`orchestration.staleness.run_loop`: it holds what the run did)

Others are no part of the tree: `bentos` imports none of this, and `assets.storage.asset_result` hands a check's result on::

    Exception
    ├── ChangedMeanwhileError  a file was replaced while it was published (`assets.object_store.contents`): it is read again
    ├── FailedCheckError       a check failed while an asset was made: recorded, then the error that it holds is raised
    ├── ModelError             a model folder is not loaded (`bentos.runtime`)
    │   ├── TamperedModelError its bytes are not those that were promoted
    │   └── OutdatedModelError another version of Loopline made it
    ├── RefusedError           a request is not answered: status, error, fields (`bentos.refusals`)
    ├── OverloadedError        more requests wait than the service may take on (`bentos.batching`)
    └── ValueError
        ├── InvalidRowError    a row that the wheel cannot answer (`bentos.embedded`)
        ├── AccessSettingsError a variable that a service cannot start with (`bentos.access_settings`)
        ├── LogKeyError        a key of the prediction log that cannot be used (`bentos.log_encryption`)
        ├── KeyFileError       a list of API keys that cannot be used (`bentos.api_keys`)
        └── IssuerError        an issuer of access tokens whose keys cannot be had (`bentos.access_tokens`)

Each message says what is wrong, where, what is allowed and what to do.
"""


class LooplineError(Exception):
    """The base of all errors that a user can mend."""


class SpecificationError(LooplineError):
    """A declaration is wrong: file, line, field, what is allowed, what to do."""


class ExtensionError(LooplineError):
    """An extension cannot be imported, or adds something that its registry cannot hold."""


class HomeError(LooplineError):
    """The folder that holds everything a run writes cannot be used."""


class DiskError(HomeError):
    """The disk that is written to is full, or read-only."""


class DatabaseError(HomeError):
    """The PostgreSQL database that holds a home's metadata cannot be reached, is not this home's, or has another schema."""


class SourceError(LooplineError):
    """A raw file is missing, cannot be read, or has other columns than declared."""


class WarehouseError(LooplineError):
    """dbt could not build a relation, or one of its tests failed."""


class ContractError(LooplineError):
    """The feature relation, or the schema of a source's table, broke its contract; nothing was published."""


class DataError(LooplineError):
    """A window holds no rows, or the rows hold no usable target."""


class UnlearnableError(DataError):
    """Nothing can be learnt from a table, whatever is asked of it."""

    is_refusal = True


class OverlapError(DataError):
    """A log says too little of a decision rule that was never served."""


class DigestError(LooplineError):
    """A stored file's bytes differ from those its digest was taken of."""


class ReviewError(LooplineError):
    """Two revisions of the repository cannot be compared."""


class ReleaseError(LooplineError):
    """What serves in one environment cannot be released to the next."""


class BackupError(LooplineError):
    """A home cannot be backed up into a folder, or restored from it."""


class StoreError(LooplineError):
    """The store that a home is published to cannot be used."""


class StoreConflictError(StoreError):
    """Another machine published what this one changed too."""


class LedgerError(LooplineError):
    """The ledger cannot take an entry: the version never served, serves already, or is invalid."""


class UntrustedLedgerError(LedgerError):
    """The ledger does not extend a head of it that is kept elsewhere."""


class PackagingError(LooplineError):
    """BentoML could not build the champion's bento."""


class ExperimentError(LooplineError):
    """An experiment cannot start, or what is asked of it cannot be done."""


class AdoptionError(LooplineError):
    """A variant that a notebook recorded cannot become a change of the declaration."""


class IncidentError(LooplineError):
    """There is no such incident, it is closed, or what is asked cannot be done about it."""


class TranslationError(LooplineError):
    """A model's graph cannot be written as SQL."""


class FeatureStoreError(LooplineError):
    """An online store of features cannot be filled, or what was served of it differs from what was known."""


class ParityError(LooplineError):
    """A way of serving answers otherwise than the model that was promoted."""


class ContainerError(LooplineError):
    """There is no container engine, or it could not build or run the image."""


class EngineError(LooplineError):
    """An engine with an environment of its own is not set up, or cannot do what is asked of it."""


class AccessError(LooplineError):
    """A key, a certificate or an address by which a service is to be reached cannot be used."""


class UpstreamError(LooplineError):
    """A check on something upstream failed, so this step does not start."""


class GateRefusedError(LooplineError):
    """The gate refused the first version of a model: there is nothing to serve."""


class CompanionError(LooplineError):
    """The companion ended, or what it was asked failed with an error that cannot be handed over."""
