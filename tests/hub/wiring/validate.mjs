// Reads {schema, instances} from stdin, prints the errors of each instance that is not valid.
import Ajv from 'ajv'
import addFormats from 'ajv-formats'
import { readFileSync } from 'node:fs'

const { schema, instances } = JSON.parse(readFileSync(0, 'utf8'))
// The specification brings the meta-schema of draft 07 itself.
const ajv = addFormats(new Ajv({ strict: false, allErrors: true, meta: false, validateSchema: false }))
const validate = ajv.compile(schema)
console.log(JSON.stringify(instances.filter((item) => !validate(item)).map((item) => validate.errors && { item, errors: validate.errors })))
